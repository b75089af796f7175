// Package config is the configuration file: its schema, strict loading with every mistake named at
// its place, defaults and secrets. It also describes itself for the reference and the web forms. It
// hides YAML, and touches nothing but files.
//
// The schema is Go structs, the drivers' own among them; their tags are the rules:
//
//	yaml:"key"         the key; yaml:",inline" puts a struct's keys beside the others, "-" hides it
//	doc:"…"            a sentence for the reference and the page
//	default:"…"        what a missing key means, unless the struct came with a value
//	required:"true"    the key must be there, unless it has a default, and not be empty
//	min:"…" max:"…"    bounds of a number, duration or size; of a text's characters; of a list's items
//	enum:"a,b"         the values that are possible
//	unique:"name"      on a list of sections: this key differs between them
//	check:"…"          what a text must look like: name, listen, filter, template or hours
//	path:"true"        a file, relative to the folder of the configuration; a warning when it is missing
//	path:"new"         the same without the warning, for what is made when missing
//	path:"secret"      as true, with a warning when everybody on the machine can read it
//
// A device may name a profile, a file with a driver, defaults and points: it is put under what the
// device says before anything is decoded, and its mistakes are reported where the device names it.
//
// Fields are numbers, bool, string, Secret, Duration, time.Duration, Size, whatever implements
// encoding.TextUnmarshaler, structs, and pointers, slices and maps of these: plain data, so that two
// configurations compare with reflect.DeepEqual.
package config
