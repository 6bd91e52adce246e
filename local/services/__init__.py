"""What stands in for AWS beside the functions: PostgreSQL, PgBouncer for RDS Proxy, and moto for the rest."""
