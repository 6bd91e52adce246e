"""Local replacements for AWS services: PostgreSQL for RDS, PgBouncer for RDS Proxy, and moto for the other services."""
