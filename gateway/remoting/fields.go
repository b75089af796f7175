package remoting

import "iter"

// Field is one entry of a header's extFields.
type Field struct{ Name, Value string }

// Fields are a header's extFields in the order of the wire. They are a slice since a request has
// some fifteen of them, each looked at once: a map costs more to fill than a walk does.
type Fields []Field

// Get is the value of the field called name, empty when there is none.
func (f Fields) Get(name string) string {
	value, _ := f.Lookup(name)
	return value
}

// Lookup is the value of the field called name and whether there is one. The last of several wins,
// as in the map that Java puts them into.
func (f Fields) Lookup(name string) (value string, ok bool) {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].Name == name {
			return f[i].Value, true
		}
	}
	return "", false
}

// Set gives the field called name a value and adds it when there is none.
func (f *Fields) Set(name, value string) {
	for i := len(*f) - 1; i >= 0; i-- {
		if (*f)[i].Name == name {
			(*f)[i].Value = value
			return
		}
	}
	*f = append(*f, Field{name, value})
}

// All visits the fields.
func (f Fields) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, one := range f {
			if !yield(one.Name, one.Value) {
				return
			}
		}
	}
}
