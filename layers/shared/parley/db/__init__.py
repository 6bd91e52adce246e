"""PostgreSQL: connections, tables, and every SQL statement of Parley."""
