"""What an evaluation found, and the report of it: tables, plots, a page to read."""
