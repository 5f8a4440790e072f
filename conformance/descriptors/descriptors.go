// Command descriptors flattens the protobuf descriptors of Dapr's runtime, of its workflow engine and of gRPC's error
// details; ../../proto-dapr/src/flatten.rs describes the lines.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"

	_ "github.com/dapr/dapr/pkg/proto/common/v1"
	_ "github.com/dapr/dapr/pkg/proto/components/v1"
	_ "github.com/dapr/dapr/pkg/proto/internals/v1"
	_ "github.com/dapr/dapr/pkg/proto/operator/v1"
	_ "github.com/dapr/dapr/pkg/proto/placement/v1"
	_ "github.com/dapr/dapr/pkg/proto/runtime/v1"
	_ "github.com/dapr/dapr/pkg/proto/scheduler/v1"
	_ "github.com/dapr/dapr/pkg/proto/sentry/v1"
	_ "github.com/dapr/dapr/pkg/proto/workflows/v1"
	_ "github.com/dapr/durabletask-go/api/protos"
	_ "google.golang.org/genproto/googleapis/rpc/code"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func main() {
	var out lines
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if isOurs(file.Package()) {
			out.file(file)
		}
		return true
	})
	sort.Strings(out)
	fmt.Fprintln(os.Stdout, strings.Join(out, "\n"))
}

// isOurs leaves out what gRPC and protobuf register for themselves. Half of Durable Task has no package.
func isOurs(pkg protoreflect.FullName) bool {
	if pkg == "" || pkg == "google.rpc" {
		return true
	}
	return strings.HasPrefix(string(pkg), "dapr.") || strings.HasPrefix(string(pkg), "durabletask.")
}

type lines []string

func (l *lines) add(format string, args ...any) {
	*l = append(*l, fmt.Sprintf(format, args...))
}

func (l *lines) file(file protoreflect.FileDescriptor) {
	l.messages(file.Messages())
	l.enums(file.Enums())
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		for j := range service.Methods().Len() {
			l.method(service, service.Methods().Get(j))
		}
	}
}

func (l *lines) messages(messages protoreflect.MessageDescriptors) {
	for i := range messages.Len() {
		message := messages.Get(i)
		if message.IsMapEntry() {
			continue
		}
		l.add("message %s", message.FullName())
		for j := range message.Fields().Len() {
			l.field(message.Fields().Get(j))
		}
		l.enums(message.Enums())
		l.messages(message.Messages())
	}
}

func (l *lines) field(field protoreflect.FieldDescriptor) {
	label, kind := "singular", typeOf(field)
	switch {
	case field.IsMap():
		label, kind = "map", typeOf(field.MapKey())+","+typeOf(field.MapValue())
	case field.IsList():
		label = "repeated"
	case field.HasOptionalKeyword():
		label = "optional"
	}
	oneof := "-"
	if group := field.ContainingOneof(); group != nil && !group.IsSynthetic() {
		oneof = string(group.Name())
	}
	l.add("field %s %d %s %s %s %s", field.FullName(), field.Number(), label, kind, oneof, field.JSONName())
}

func typeOf(field protoreflect.FieldDescriptor) string {
	switch {
	case field.Message() != nil:
		return string(field.Message().FullName())
	case field.Enum() != nil:
		return string(field.Enum().FullName())
	default:
		return field.Kind().String()
	}
}

func (l *lines) enums(enums protoreflect.EnumDescriptors) {
	for i := range enums.Len() {
		enum := enums.Get(i)
		for j := range enum.Values().Len() {
			value := enum.Values().Get(j)
			l.add("enum %s.%s %d", enum.FullName(), value.Name(), value.Number())
		}
	}
}

func (l *lines) method(service protoreflect.ServiceDescriptor, method protoreflect.MethodDescriptor) {
	input, output := string(method.Input().FullName()), string(method.Output().FullName())
	if method.IsStreamingClient() {
		input = "stream " + input
	}
	if method.IsStreamingServer() {
		output = "stream " + output
	}
	l.add("rpc %s/%s %s -> %s", service.FullName(), method.Name(), input, output)
}
