"""The result cache and the slots of background work."""
