"""Readable category ids for generated feeds."""

from typing import Final

_DEPARTMENTS: Final = (
    "kitchen",
    "garden-tools",
    "headphones",
    "toys",
    "books",
    "running-shoes",
    "coffee",
    "skin-care",
    "board-games",
    "phone-cases",
    "lighting",
    "camping",
    "pet-food",
    "laptops",
    "bedding",
    "cycling",
    "stationery",
    "watches",
    "baby-care",
    "power-tools",
    "cookware",
    "backpacks",
    "cameras",
    "vitamins",
    "tea",
    "jackets",
    "puzzles",
    "monitors",
    "yoga",
    "car-parts",
    "hair-care",
    "furniture",
    "sunglasses",
    "keyboards",
    "fishing",
    "music",
    "snacks",
    "storage",
    "swimwear",
    "plants",
    "printers",
    "jewellery",
    "cleaning",
    "video-games",
    "curtains",
    "climbing",
    "socks",
    "speakers",
)
_QUALIFIERS: Final = (
    "outdoor",
    "travel",
    "vintage",
    "organic",
    "premium",
    "budget",
    "kids",
    "office",
    "winter",
    "summer",
    "smart",
    "handmade",
    "eco",
    "compact",
    "classic",
    "sports",
    "gift",
    "professional",
    "refurbished",
    "imported",
    "seasonal",
    "luxury",
    "student",
)


def category_names(count: int) -> list[str]:
    """Return `count` different category ids, the most popular first.

    A shorter list is always the beginning of a longer one: departments, then each with a
    qualifier (1,152 in all), then those again with a number.
    """
    names = list(_DEPARTMENTS)
    names += [f"{qualifier}-{name}" for qualifier in _QUALIFIERS for name in _DEPARTMENTS]
    plain = len(names)
    names += [f"{names[place % plain]}-{place // plain + 1}" for place in range(plain, count)]
    return names[:count]
