package main

import (
	"errors"
	"fmt"
	"reflect"
	"time"
)

// plain makes a value of any library one that JSON can hold.
func plain(value any) any {
	switch typed := value.(type) {
	case nil:
		return nil
	case time.Time:
		return typed.Format(time.RFC3339Nano)
	case time.Duration:
		return typed.String()
	case *time.Location:
		return typed.String()
	case found, written:
		return typed
	case []byte:
		return string(typed)
	}
	reflected := reflect.ValueOf(value)
	switch reflected.Kind() {
	case reflect.Slice, reflect.Array:
		items := []any{}
		for i := 0; i < reflected.Len(); i++ {
			items = append(items, plain(reflected.Index(i).Interface()))
		}
		return items
	case reflect.Map:
		object := map[string]any{}
		for _, key := range reflected.MapKeys() {
			object[fmt.Sprint(key.Interface())] = plain(reflected.MapIndex(key).Interface())
		}
		return object
	case reflect.Func:
		return errors.New("function")
	}
	return value
}
