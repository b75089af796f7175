package rocketmq

import "sync"

// kv is the name server's small configuration: values by namespace and key.
type kv struct {
	mu     sync.RWMutex // guards values
	values map[string]map[string]string
}

func (k *kv) get(namespace, key string) (value string, known bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	value, known = k.values[namespace][key]
	return value, known
}
