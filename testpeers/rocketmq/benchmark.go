package rocketmqtest

import "errors"

// Alive says how a server ended, if one has.
func (r *Real) Alive() error { return errors.Join(r.nameServer.alive(), r.broker.alive()) }

// Complaints is the end of what the servers complained about in their logs.
func (r *Real) Complaints() string { return logs(r.Dir) }

// Benchmark is the command line of one of Apache's own benchmark tools (Producer, BatchProducer,
// Consumer), which keeps its files in dir. options are of the virtual machine, args the tool's.
func Benchmark(tool, dir string, options []string, args ...string) ([]string, error) {
	found, err := findJars()
	if err != nil {
		return nil, err
	}
	line := append(machine(found.java, dir), options...)
	line = append(line, "-cp", found.admin(), "org.apache.rocketmq.example.benchmark."+tool)
	return append(line, args...), nil
}
