"""What the worklist costs: its read model at 100,000 open tasks."""
