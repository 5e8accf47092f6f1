"""Rules of access, nothing that stores."""
