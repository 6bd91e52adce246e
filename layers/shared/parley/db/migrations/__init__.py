"""Alembic migrations, run by the `migrate` function as the owner role."""
