//! The script behind every write: it compares all versions, then writes all, or nothing.

/// Keys: one for each operation. Arguments: five for each operation.
///
/// 1. `set` or `del`, or `jset` and `jdel` for JSON documents;
/// 2. the version that has to be there, `0` for any;
/// 3. the data (`jset`: the document with its `data`);
/// 4. `0` marks the key as written first;
/// 5. seconds to live, zero or less for ever, empty to keep what is set.
///
/// Answers 0, or the number of the first operation whose version does not match. The rules are those of daprd 1.18's
/// scripts: a set also passes where there is no version yet, and without a version of its own unless the key is marked;
/// a delete without a version always passes. A key of another type counts as absent.
pub(super) const WRITE: &str = r#"
local versions, marks = {}, {}

local function look(key, json)
  if versions[key] ~= nil then return end
  local version, mark
  if json then
    version = redis.pcall("JSON.GET", key, ".version")
    mark = redis.pcall("JSON.GET", key, ".first-write")
  else
    version = redis.pcall("HGET", key, "version")
    mark = redis.pcall("HGET", key, "first-write")
  end
  if type(version) == "table" or version == "" then version = false end
  if type(mark) == "table" then mark = false end
  versions[key], marks[key] = version, mark
end

for operation = 1, #KEYS do
  local key, first = KEYS[operation], (operation - 1) * 5
  local kind, wanted = ARGV[first + 1], ARGV[first + 2]
  look(key, kind == "jset" or kind == "jdel")
  local version = versions[key]
  local deletes = kind == "del" or kind == "jdel"
  local any = wanted == "0" and (deletes or not marks[key])
  if version and version ~= wanted and not any then return operation end
  if deletes then
    versions[key], marks[key] = false, false
  else
    local base = tonumber(version or (kind == "jset" and wanted) or 0) or 0
    versions[key] = string.format("%.0f", base + 1)
    if ARGV[first + 4] == "0" then marks[key] = "0" end
  end
end

local function make_room(key, wanted)
  local kind = redis.call("TYPE", key).ok
  if kind ~= "none" and kind ~= wanted then redis.call("DEL", key) end
end

for operation = 1, #KEYS do
  local key, first = KEYS[operation], (operation - 1) * 5
  local kind, wanted, data = ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]
  local mark, ttl = ARGV[first + 4], ARGV[first + 5]
  if kind == "set" then
    make_room(key, "hash")
    redis.call("HSET", key, "data", data)
    if mark == "0" then redis.call("HSET", key, "first-write", 0) end
    redis.call("HINCRBY", key, "version", 1)
  elseif kind == "jset" then
    make_room(key, "ReJSON-RL")
    local version = redis.pcall("JSON.GET", key, ".version")
    if not version or type(version) == "table" then version = wanted end
    redis.call("JSON.SET", key, "$", data)
    if mark == "0" then redis.call("JSON.SET", key, ".first-write", 0) end
    redis.call("JSON.SET", key, ".version", string.format("%.0f", version + 1))
  else
    redis.call("DEL", key)
  end
  if ttl ~= "" then
    if tonumber(ttl) > 0 then redis.call("EXPIRE", key, ttl) else redis.call("PERSIST", key) end
  end
end
return 0
"#;
