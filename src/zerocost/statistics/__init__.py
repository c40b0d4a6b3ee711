"""Statistics: rank correlation, intervals, Pareto fronts."""
