"""Yardsticks: what a turn costs, what a cold start costs, what `parley up` costs. Printed, never asserted."""
