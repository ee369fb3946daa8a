"""The whole product as an operator runs it, on a real broker: processes, commands, documents."""
