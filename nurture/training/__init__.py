"""Weights from history: what came of contacts, what was known of them, and a lifecycle file that is proposed.

Nothing here changes what runs: a proposal is a file, to be read, compared and applied by people. scikit-learn is loaded
by `model` only.
"""
