"""The sales feed: finding complete reports, reading their content, and telling good rows from bad.

A report goes from a `DropLocation` through `content` (decompression, checksum) and `report_parser`
(one frame of checked sales, one of rejected rows) to `ingestion`; rejected rows go to `quarantine`.
"""
