package gateway

import (
	"reflect"
	"slices"

	"sluice/gateway/config"
)

// secretsOf collects what a configuration keeps secret, wherever it stands in it.
func secretsOf(c *config.Config) (secrets []string) {
	collectSecrets(reflect.ValueOf(c), &secrets)
	slices.Sort(secrets)
	return slices.Compact(secrets)
}

func collectSecrets(v reflect.Value, into *[]string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			collectSecrets(v.Elem(), into)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			collectSecrets(field, into)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			collectSecrets(v.Index(i), into)
		}
	case reflect.Map:
		for each := v.MapRange(); each.Next(); {
			collectSecrets(each.Value(), into)
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[config.Secret]() && v.Len() > 0 {
			*into = append(*into, v.String())
		}
	}
}
