"""Which results are current: what made each of them, and where the earlier ones go.

In: the jobs as the present config would start them, results/records. Out: the jobs to run again, files that
appear together with their record. Read first: records, then runs (a whole run) and jobs (one job's part).
"""
