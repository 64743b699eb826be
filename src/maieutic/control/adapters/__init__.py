"""Monitors in other people's harnesses: control-arena (``arena``), Inspect Sentinel (``sentinel``), ``.eval`` logs.

Importing this imports none of them.
"""
