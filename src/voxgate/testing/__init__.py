"""Scripted engines and conformance suites, shipped: engine authors need them."""
