"""Files that are mounted into containers and run there by the target's own Python: no imports of ours."""
