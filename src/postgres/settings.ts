/**
 * Settings of the embedded PostgreSQL for a home server: a small database, few sessions, and often a memory
 * card or an SSD on which each write counts.
 */
export const SETTINGS = {
  max_connections: '100',
  synchronous_commit: 'on',
  // Shared memory in files of the data directory. systemd deletes files in /dev/shm of a user who logs out
  // (RemoveIPC), and the server then accepts no new connection.
  dynamic_shared_memory_type: 'mmap',
  // The first 8 MB of dynamic shared memory (statistics, parallel queries) lie in the main shared memory
  // instead. The kernel writes a file of the data directory to the disk whenever it has changed.
  min_dynamic_shared_memory: '8MB',
  // The tables and indexes that are in use take a few MB. The file cache of the system holds the rest.
  shared_buffers: '32MB',
  // No standby and no archive reads the WAL. For a standby, the server would also write and sync a record
  // up to 15 s after each other change.
  wal_level: 'minimal',
  max_wal_senders: '0',
  // After a checkpoint, the first change of a page is logged with the whole page, so rare checkpoints write
  // less. After a crash, the server reads at most max_wal_size, which takes seconds.
  checkpoint_timeout: '30min',
  max_wal_size: '256MB',
  min_wal_size: '32MB',
  // No process that waits for work that never comes: three readers, which serve queries of large tables, and
  // the launcher of logical replication.
  io_method: 'sync',
  max_logical_replication_workers: '0',
  // A table of a few thousand changes an hour need not be looked at each minute, in a new process.
  autovacuum_naptime: '5min',
  autovacuum_max_workers: '2',
  // The plans are cheap, so that compiling one takes longer than running it.
  jit: 'off',
}
