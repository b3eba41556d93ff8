"""Private statistics: what may be published, over which cells, at what cost, and the document that says so.

Everything here is words and integers, except `mechanism`, the only importer of the noise library; it is imported by the
job process alone (ADR 17).
"""
