"""PostgreSQL: connections, transactions, tables, and all SQL statements."""
