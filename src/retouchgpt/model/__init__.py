"""The network, one file a box of the paper. Imports core only."""
