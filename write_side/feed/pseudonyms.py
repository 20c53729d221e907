"""Customers as keyed pseudonyms: the same customer, the same number; without the key, no way back.

Rankings never need a customer's id. Destroying the key is erasure.
"""

from hashlib import blake2b

import polars as pl
import polars_hash as plh


def pseudonyms(customer: pl.Expr, key: bytes) -> pl.Expr:
    """Return each customer id's pseudonym as UInt64, null where the id is empty.

    The first 8 bytes, big-endian, of BLAKE3 over the key's digest and the id. BLAKE3 cannot be
    extended by one who does not know the beginning, so the prefix makes it a keyed hash. These
    numbers are stored: to change how they are made needs a new `PARSER_VERSION`. Raises
    `ValueError` for a key of less than 16 bytes.
    """
    if len(key) < 16:
        raise ValueError("a pseudonym key has 16 bytes at least")
    # A digest of fixed length, short enough that key and id mostly fit BLAKE3's block of 64 bytes.
    prefix = blake2b(key, digest_size=16, person=b"pseudonym key").hexdigest()
    known = pl.when(customer != "").then(customer)
    digest = plh.concat_str([pl.lit(prefix), known], separator=":").chash.blake3()
    return digest.str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)


def key_fingerprint(key: bytes) -> str:
    """Return what names a key without telling it: an attempt begun with another is not resumed."""
    return blake2b(key, digest_size=8, person=b"fingerprint").hexdigest()
