"""Monitors, what protocols do with their suspicion, and what both cost.

A monitor that failed is not a monitor that saw nothing: every failure is an unmeasured reading, which protocols escalate.
"""
