"""Report pages: a static site over the tables of a report set, which opens from a disk, without a server or a network.

It stands on top. The pipeline is given a function that fills a folder from the finished files of a set, and knows
nothing else of it; an installation without the packages of the extra `html` publishes the same tables without pages.
"""
