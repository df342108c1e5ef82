"""A run from a plan to a published index. Every room meets here and nowhere else."""
