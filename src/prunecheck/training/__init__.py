"""The loop on one screen, its recipes, its data feed and its judge. No pruning decision is taken here."""
