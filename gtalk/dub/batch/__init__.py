"""Many jobs: the list, the journal that survives a kill, the scheduler, workers here or on a cluster."""
