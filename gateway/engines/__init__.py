"""Engines that count where the events lie. They return whole numbers of declared cells, and never a row."""
