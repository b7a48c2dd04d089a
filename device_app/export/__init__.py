"""Consented pictures and what is known of them leave the box, without whose they are.

Nothing is copied: every file is built anew from an allow-list of values, each of them a number, a word of our
own vocabulary or a random name, and the pixels come decoded from the confined reader.
"""
