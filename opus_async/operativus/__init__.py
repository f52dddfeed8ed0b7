"""The second platform: Operativus, a server for workflows made of agent steps."""
