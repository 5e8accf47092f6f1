"""What everything else is said in: units, records, people, models, ports and errors. Imports nothing above it."""
