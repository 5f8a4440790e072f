(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_state" (func $save (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_publish_event" (func $publish
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "statestorenotepubsubsavedtext/plainsaved: ")
  (func (export "proxy_abi_version_0_2_1"))
  ;; The host asks for memory here: one place is enough for one body.
  (func (export "malloc") (param i32) (result i32) (i32.const 1000))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    ;; The body (buffer 0): its place at 0, its length at 4.
    (drop (call $get (i32.const 0) (i32.const 0) (i32.const 60000) (i32.const 0) (i32.const 4)))
    (if (call $save (i32.const 100) (i32.const 10) (i32.const 110) (i32.const 4)
                    (i32.load (i32.const 0)) (i32.load (i32.const 4))) (then unreachable))
    (if (call $publish (i32.const 114) (i32.const 6) (i32.const 120) (i32.const 5)
                       (i32.load (i32.const 0)) (i32.load (i32.const 4))
                       (i32.const 125) (i32.const 10) (i32.const 0) (i32.const 0)) (then unreachable))
    ;; The answer is what stands in buffer 1.
    (drop (call $set (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 135) (i32.const 7)))
    (drop (call $set (i32.const 1) (i32.const 7) (i32.const 0) (i32.load (i32.const 0)) (i32.load (i32.const 4))))
    (i32.const 0)))
