"""The training loop, recipes, data feed, evaluation and backends. Takes masks; decides nothing about pruning."""
