"""From the store to tables, figures, claims and the page; nothing here trains or reads raw data."""
