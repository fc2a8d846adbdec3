-- every head differs: another user, request id and trace
local heads, at = {}, 0

local function word()
  return string.format("%08x", math.random(1, 2147483646))
end

init = function()
  math.randomseed(7)
  for n = 1, 4000 do
    heads[n] = wrk.format("POST", "/predict", {
      ["Content-Type"] = "application/json",
      ["Accept"] = "application/json",
      ["User-Agent"] = "bench/1.0",
      ["X-User-Id"] = "user-" .. math.random(100000, 200000),
      ["X-Request-Id"] = word() .. word() .. word() .. word(),
      ["traceparent"] = "00-" .. word() .. word() .. word() .. word() .. "-" .. word() .. word() .. "-01",
    }, string.rep("x", 1024))
  end
end

request = function()
  at = at % 4000 + 1
  return heads[at]
end
