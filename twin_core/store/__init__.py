"""The SQLAlchemy implementation of the store port."""
