"""From a shop's hourly sales reports to append-only events.

The way of a sale begins here: `feed` finds and checks a report, `ingestion` turns it into events,
an `EventStore` keeps them, and `report_history` says which reports count at which version.
"""
