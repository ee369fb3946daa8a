"""What the worklist costs: the read model's size and speed (the issue asks for 100,000 open tasks)."""
