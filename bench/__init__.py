"""Measurements of the whole, with the real Temporal, a real worker and the local Scaleway, each with its must-be."""

from bench import (
    backup_drill,
    backup_faults,
    backup_kills,
    backup_model,
    broken_releases,
    bucket_backup,
    crash_sweep,
    critical_path,
    database_dump,
    database_restore,
    faithful,
    fault_sweep,
    machines,
    noop,
    object_storage,
    release_kills,
    releases,
    rights,
    scale,
    secrets_search,
    telemetry_overhead,
    traces,
    two_workers,
    worker_versions,
)

BENCHES = {
    bench.NAME: bench
    for bench in (
        faithful,
        noop,
        critical_path,
        fault_sweep,
        crash_sweep,
        secrets_search,
        scale,
        machines,
        object_storage,
        bucket_backup,
        backup_model,
        database_dump,
        database_restore,
        releases,
        broken_releases,
        release_kills,
        backup_kills,
        backup_faults,
        backup_drill,
        rights,
        worker_versions,
        two_workers,
        telemetry_overhead,
        traces,
    )
}
"""Every measurement, by name."""
