"""From configuration and experiments to the list of runs; tuning and selection."""
