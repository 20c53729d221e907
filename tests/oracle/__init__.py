"""Rankings computed a second time, from the raw reports, by SQL.

An independent answer to compare the system with: DuckDB reads the CSV files and ranks; no code is
shared with the packages under test, and none may be imported here.
"""
