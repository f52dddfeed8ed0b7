"""An Operativus beside the simulated Opus: workflows of agent steps, a queue, runs, people in the loop.

It runs in the same process, on a port of its own, when a ``SimulatorConfig`` has an ``OperativusConfig``.
``README.md`` says what each module is for.
"""
