package store

// Fail makes the log fail as a failed sync does.
func (s *Store) Fail(cause error) { s.fail(cause) }

// SetFull makes the log refuse producers until it looks at the disk again.
func (s *Store) SetFull() { s.queue.setFull(true, false) }
