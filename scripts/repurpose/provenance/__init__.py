"""Which results are up to date: a record of what made each result, and a folder for earlier results.

In: the jobs as the present config would start them, results/records. Out: the jobs to run again; files that
appear together with their record. Read first: records, runs, jobs.
"""
