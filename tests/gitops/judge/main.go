// Judge says what GitOps tools see in an object: it reads {"object": …, "health": "Lua"} and prints what Flux's kstatus and
// Argo CD's interpreter make of it. Both are the libraries that these tools are built of, so that nothing here decides.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// As long as Argo CD lets a script run.
const scriptLimit = time.Second

type question struct {
	Object map[string]any `json:"object"`
	Health string         `json:"health"`
}

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

type answer struct {
	Flux verdict `json:"flux"`
	Argo verdict `json:"argo"`
}

func main() {
	answer, err := judge(json.NewDecoder(os.Stdin))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(from *json.Decoder) (*answer, error) {
	var asked question
	if err := from.Decode(&asked); err != nil {
		return nil, err
	}
	// As from the API server: whole numbers are integers.
	text, err := json.Marshal(asked.Object)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	seen, err := status.Compute(object)
	if err != nil {
		return nil, err
	}
	health, err := run(asked.Health, object.Object)
	if err != nil {
		return nil, err
	}
	return &answer{Flux: verdict{seen.Status.String(), seen.Message}, Argo: *health}, nil
}

// run gives a script the object and the libraries that Argo CD gives it: none for strings, files or the clock.
func run(script string, object map[string]any) (*verdict, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptLimit)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	returned, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, errors.New("the script returned no table")
	}
	return &verdict{returned.RawGetString("status").String(), returned.RawGetString("message").String()}, nil
}

// value is `from`, which was JSON, in Lua.
func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case string:
		return lua.LString(from)
	case []any:
		table := state.NewTable()
		for _, item := range from {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range from {
			table.RawSetString(key, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
